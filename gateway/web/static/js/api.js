// The API, as the pages use it. A refusal is an Error with the words of its problem document.
export async function call(method, path, body) {
  let response;
  try {
    response = await fetch(`/api/v1${path}`, {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Error("The box does not answer. Nothing was changed.");
  }
  if (response.status === 204) return null;
  const type = response.headers.get("Content-Type") ?? "";
  const value = type.includes("json") ? await response.json() : null;
  if (!response.ok) {
    const error = new Error(sentence(value));
    error.code = value?.code ?? "";
    error.faults = value?.faults ?? [];
    throw error;
  }
  return value;
}

function sentence(problem) {
  if (!problem) return "The box could not do that.";
  const what = problem.detail || problem.title;
  const text = what.charAt(0).toUpperCase() + what.slice(1);
  return problem.hint ? `${text}. ${problem.hint}` : text;
}
