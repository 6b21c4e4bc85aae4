// What every page has, then what this page has.
import { startTheme } from "./theme.js";
import { startKeys } from "./keys.js";
import { startEvents } from "./events.js";
import { startForms } from "./forms.js";

const PAGES = { today: "./today.js", day: "./today.js", search: "./search.js", memory: "./memory.js", duplicates: "./duplicates.js", health: "./health.js", devices: "./devices.js", device: "./devices.js" };

startTheme();
startKeys();
startForms();
const page = PAGES[document.body.dataset.page];
if (page) (await import(page)).start();
startEvents();
document.documentElement.dataset.ready = "";
