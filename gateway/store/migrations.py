"""The schema, as a list of steps that are never edited once released."""

from __future__ import annotations

import secrets
import sqlite3

from sqlite_utils import Database, Migrations

_steps = Migrations("hearthlog")


def apply(connection: sqlite3.Connection) -> None:
    """Bring the schema up to date; each step is one transaction."""
    _steps.apply(Database(connection, execute_plugins=False))


@_steps(name="001_road")
def _road(db: Database) -> None:
    for statement in _ROAD.split(";\n"):
        if statement.strip():
            db.execute(statement)
    db.execute("INSERT INTO meta(key, value) VALUES ('epoch', ?)", (secrets.token_hex(8),))
    db.execute(
        "INSERT INTO person(id, name, role, created_at_us) VALUES ('p' || lower(hex(randomblob(8))), '', 'admin', 0)"
    )


@_steps(name="002_missing_models")
def _missing_models(db: Database) -> None:
    """What was passed over for want of a model is looked for at every start: not by reading every annotation."""
    db.execute(
        "CREATE INDEX annotation_missing ON annotation(step, capture) WHERE current = 1 AND skip_code = 'model-missing'"
    )


@_steps(name="003_cameras")
def _cameras(db: Database) -> None:
    for statement in _CAMERAS.split(";\n"):
        if statement.strip():
            db.execute(statement)


@_steps(name="004_superseded")
def _superseded(db: Database) -> None:
    """What was said again is dropped every hour: not by reading every annotation."""
    db.execute("CREATE INDEX annotation_superseded ON annotation(capture) WHERE current = 0")


@_steps(name="005_readings")
def _readings(db: Database) -> None:
    """What the box measured of itself, for the lines of a day."""
    db.execute(
        "CREATE TABLE reading(name TEXT NOT NULL, at_us INTEGER NOT NULL, value REAL NOT NULL,"
        " PRIMARY KEY (name, at_us)) STRICT, WITHOUT ROWID"
    )


@_steps(name="006_duplicate_decisions")
def _duplicate_decisions(db: Database) -> None:
    """What people say of pairs of pictures, and claims that do not stand for it.

    Of what was kept apart as a whole before, the claim waits aside: the older decision still counts.
    """
    for statement in _DUPLICATES.split(";\n"):
        if statement.strip():
            db.execute(statement)


@_steps(name="007_copy_vectors")
def _copy_vectors(db: Database) -> None:
    """How pictures look to the one that finds copies of them."""
    db.execute(
        "CREATE TABLE copy_vector(capture INTEGER PRIMARY KEY REFERENCES capture(id) ON DELETE CASCADE,"
        " space TEXT NOT NULL, vector BLOB NOT NULL) STRICT"
    )


@_steps(name="008_spaces")
def _spaces(db: Database) -> None:
    """Which space of vectors answers for a step, and which is filled to take its place (annotation.current = 2)."""
    db.execute(
        "CREATE TABLE space(step TEXT NOT NULL, role TEXT NOT NULL CHECK (role IN ('answers','fills')),"
        " name TEXT NOT NULL, since_us INTEGER NOT NULL, PRIMARY KEY (step, role)) STRICT, WITHOUT ROWID"
    )
    db.execute("CREATE INDEX annotation_beside ON annotation(step, capture) WHERE current = 2")


@_steps(name="009_asked")
def _asked(db: Database) -> None:
    """Whom an annotation asked, so that it is done again when another model would answer. Of what stands already only
    missing models, captions and transcripts are filled in: the rest counts as asked of those that would answer."""
    for statement in _ASKED.split(";\n"):
        if statement.strip():
            db.execute(statement)


@_steps(name="010_turned")
def _turned(db: Database) -> None:
    """Pictures that show that their camera was turned are looked for with every look at the cameras."""
    db.execute(
        "CREATE INDEX annotation_turned ON annotation(capture)"
        " WHERE step = 'dedupe' AND current = 1 AND json_extract(data, '$.camera_turned')"
    )


_ROAD = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE person(
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('admin','member','guest')),
  password TEXT,
  created_at_us INTEGER NOT NULL,
  gone_at_us INTEGER
) STRICT;
CREATE UNIQUE INDEX person_name ON person(name) WHERE name <> '' AND gone_at_us IS NULL;

CREATE TABLE owner_key(owner TEXT PRIMARY KEY REFERENCES person(id), wrapped BLOB NOT NULL) STRICT;

CREATE TABLE session(
  hash BLOB PRIMARY KEY,
  person TEXT NOT NULL REFERENCES person(id),
  created_at_us INTEGER NOT NULL,
  seen_at_us INTEGER NOT NULL,
  expires_at_us INTEGER NOT NULL,
  agent TEXT NOT NULL
) STRICT;

CREATE TABLE token(
  id TEXT PRIMARY KEY,
  hash BLOB NOT NULL UNIQUE,
  person TEXT NOT NULL REFERENCES person(id),
  name TEXT NOT NULL,
  scopes TEXT NOT NULL,
  created_at_us INTEGER NOT NULL,
  seen_at_us INTEGER,
  expires_at_us INTEGER
) STRICT;

CREATE TABLE device(
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  room TEXT NOT NULL,
  owner TEXT NOT NULL REFERENCES person(id),
  privacy TEXT NOT NULL,
  ai_usage TEXT NOT NULL,
  lane TEXT NOT NULL,
  added INTEGER NOT NULL DEFAULT 0,
  first_seen_us INTEGER NOT NULL,
  last_seen_us INTEGER NOT NULL,
  status TEXT NOT NULL DEFAULT '{}'
) STRICT;

CREATE TABLE boot(
  device TEXT NOT NULL,
  boot_id BLOB NOT NULL,
  counter INTEGER NOT NULL,
  PRIMARY KEY (device, boot_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE anchor(
  device TEXT NOT NULL,
  boot_id BLOB NOT NULL,
  mono_us INTEGER NOT NULL,
  utc_us INTEGER NOT NULL,
  error_us INTEGER NOT NULL,
  source TEXT NOT NULL,
  PRIMARY KEY (device, boot_id, mono_us, source)
) STRICT, WITHOUT ROWID;

CREATE TABLE undated(
  device TEXT NOT NULL,
  boot_id BLOB NOT NULL,
  PRIMARY KEY (device, boot_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE ledger(
  device TEXT NOT NULL,
  boot_id BLOB NOT NULL,
  seq INTEGER NOT NULL,
  hash BLOB,
  verdict TEXT NOT NULL,
  code TEXT NOT NULL DEFAULT '',
  at_us INTEGER NOT NULL,
  PRIMARY KEY (device, boot_id, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX ledger_at ON ledger(at_us) WHERE hash IS NOT NULL;

CREATE TABLE gap(
  id INTEGER PRIMARY KEY,
  device TEXT NOT NULL,
  boot_id BLOB NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  reason TEXT NOT NULL,
  from_us INTEGER NOT NULL,
  to_us INTEGER NOT NULL,
  from_mono_us INTEGER,
  to_mono_us INTEGER,
  UNIQUE (device, boot_id, first, last)
) STRICT;
CREATE INDEX gap_when ON gap(from_us);

CREATE TABLE refusal(
  id INTEGER PRIMARY KEY,
  device TEXT NOT NULL,
  lane TEXT NOT NULL,
  source_name TEXT NOT NULL,
  code TEXT NOT NULL,
  reason TEXT NOT NULL,
  hint TEXT NOT NULL,
  body_bytes INTEGER NOT NULL,
  at_us INTEGER NOT NULL
) STRICT;
CREATE INDEX refusal_when ON refusal(at_us);

CREATE TABLE blob(
  id INTEGER PRIMARY KEY,
  owner TEXT NOT NULL,
  sha256 BLOB NOT NULL,
  name TEXT NOT NULL,
  wrapped BLOB NOT NULL,
  body_bytes INTEGER NOT NULL,
  written_at_us INTEGER NOT NULL,
  UNIQUE (owner, sha256)
) STRICT;

CREATE TABLE capture(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uid TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  device TEXT,
  owner TEXT NOT NULL REFERENCES person(id),
  privacy TEXT NOT NULL CHECK (privacy IN ('private','circle','public')),
  ai_usage TEXT NOT NULL CHECK (ai_usage IN ('none','chat','train')),
  captured_at_us INTEGER NOT NULL,
  time_source TEXT NOT NULL,
  time_error_us INTEGER NOT NULL,
  zone TEXT NOT NULL,
  received_at_us INTEGER NOT NULL,
  lane TEXT NOT NULL,
  sha256 BLOB NOT NULL,
  blob INTEGER REFERENCES blob(id),
  body_bytes INTEGER NOT NULL,
  media_type TEXT NOT NULL,
  width_px INTEGER,
  height_px INTEGER,
  duration_us INTEGER,
  boot_id BLOB,
  boot_counter INTEGER,
  seq INTEGER,
  mono_us INTEGER,
  source_name TEXT NOT NULL,
  extra TEXT NOT NULL DEFAULT '{}',
  deleted_at_us INTEGER,
  pinned INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX capture_when ON capture(captured_at_us, id);
CREATE INDEX capture_device_when ON capture(device, captured_at_us);
CREATE INDEX capture_sha ON capture(sha256);
CREATE INDEX capture_blob ON capture(blob);
CREATE INDEX capture_deleted ON capture(deleted_at_us) WHERE deleted_at_us IS NOT NULL;
CREATE INDEX capture_record ON capture(device, boot_id, seq) WHERE seq IS NOT NULL;

CREATE TABLE segment(
  capture INTEGER NOT NULL REFERENCES capture(id) ON DELETE CASCADE,
  n INTEGER NOT NULL,
  start_us INTEGER NOT NULL,
  end_us INTEGER NOT NULL,
  PRIMARY KEY (capture, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE annotation(
  id INTEGER PRIMARY KEY,
  capture INTEGER NOT NULL REFERENCES capture(id) ON DELETE CASCADE,
  segment INTEGER NOT NULL DEFAULT 0,
  step TEXT NOT NULL,
  fingerprint TEXT NOT NULL,
  step_version INTEGER NOT NULL,
  model TEXT NOT NULL,
  revision TEXT NOT NULL,
  preprocessing TEXT NOT NULL,
  skipped TEXT NOT NULL DEFAULT '',
  skip_code TEXT NOT NULL DEFAULT '',
  hint TEXT NOT NULL DEFAULT '',
  data TEXT NOT NULL,
  caption TEXT NOT NULL DEFAULT '',
  text TEXT NOT NULL DEFAULT '',
  transcript TEXT NOT NULL DEFAULT '',
  tags TEXT NOT NULL DEFAULT '[]',
  at_us INTEGER NOT NULL,
  took_ms REAL NOT NULL,
  current INTEGER NOT NULL DEFAULT 1,
  UNIQUE (capture, segment, step, fingerprint)
) STRICT;

CREATE TABLE embedding(
  annotation INTEGER PRIMARY KEY REFERENCES annotation(id) ON DELETE CASCADE,
  capture INTEGER NOT NULL REFERENCES capture(id) ON DELETE CASCADE,
  segment INTEGER NOT NULL DEFAULT 0,
  space TEXT NOT NULL,
  vector BLOB NOT NULL
) STRICT;
CREATE INDEX embedding_capture ON embedding(capture);
CREATE INDEX embedding_space ON embedding(space, annotation);

CREATE TABLE duplicate(
  capture INTEGER PRIMARY KEY REFERENCES capture(id) ON DELETE CASCADE,
  step TEXT NOT NULL,
  kind TEXT NOT NULL,
  of INTEGER NOT NULL REFERENCES capture(id) ON DELETE CASCADE,
  evidence TEXT NOT NULL
) STRICT;
CREATE INDEX duplicate_of ON duplicate(of);

CREATE TABLE likeness(
  part INTEGER NOT NULL,
  band INTEGER NOT NULL,
  capture INTEGER NOT NULL REFERENCES capture(id) ON DELETE CASCADE,
  PRIMARY KEY (part, band, capture)
) STRICT, WITHOUT ROWID;
CREATE INDEX likeness_capture ON likeness(capture);

CREATE TABLE understood(
  capture INTEGER PRIMARY KEY REFERENCES capture(id) ON DELETE CASCADE,
  caption TEXT NOT NULL DEFAULT '',
  caption_source TEXT NOT NULL DEFAULT '',
  text TEXT NOT NULL DEFAULT '',
  transcript TEXT NOT NULL DEFAULT '',
  tags TEXT NOT NULL DEFAULT '[]',
  folded TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX understood_folded ON understood(folded, capture);

CREATE TABLE decision(
  id INTEGER PRIMARY KEY,
  capture INTEGER NOT NULL REFERENCES capture(id) ON DELETE CASCADE,
  person TEXT NOT NULL,
  what TEXT NOT NULL,
  value TEXT NOT NULL,
  at_us INTEGER NOT NULL
) STRICT;
CREATE INDEX decision_capture ON decision(capture, id);

CREATE TABLE job(
  id INTEGER PRIMARY KEY,
  capture INTEGER NOT NULL REFERENCES capture(id) ON DELETE CASCADE,
  step TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('waiting','running','dead')),
  priority INTEGER NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0,
  losses INTEGER NOT NULL DEFAULT 0,
  not_before_us INTEGER NOT NULL DEFAULT 0,
  queued_at_us INTEGER NOT NULL,
  lease TEXT NOT NULL DEFAULT '',
  code TEXT NOT NULL DEFAULT '',
  reason TEXT NOT NULL DEFAULT '',
  hint TEXT NOT NULL DEFAULT '',
  UNIQUE (capture, step)
) STRICT;
CREATE INDEX job_next ON job(step, priority, capture) WHERE state = 'waiting';
CREATE INDEX job_dead ON job(state, id) WHERE state <> 'waiting';

CREATE TABLE change(
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  entity TEXT NOT NULL,
  entity_id TEXT NOT NULL,
  operation TEXT NOT NULL,
  at_us INTEGER NOT NULL
) STRICT;
CREATE INDEX change_entity ON change(entity, entity_id);

CREATE TABLE cursor(name TEXT PRIMARY KEY, epoch TEXT NOT NULL, sequence INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE VIRTUAL TABLE words USING fts5(
  caption, text, transcript, tags, tokenize = 'porter unicode61 remove_diacritics 2'
)
"""

_CAMERAS = """
CREATE TABLE camera(
  device TEXT PRIMARY KEY REFERENCES device(id),
  hardware TEXT NOT NULL,
  board TEXT NOT NULL,
  firmware TEXT NOT NULL,
  secret BLOB,
  paired_by TEXT NOT NULL REFERENCES person(id),
  paired_at_us INTEGER NOT NULL,
  revoked_at_us INTEGER,
  tuning TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX camera_hardware ON camera(hardware);

CREATE TABLE command(
  id TEXT PRIMARY KEY,
  device TEXT NOT NULL REFERENCES camera(device),
  cmd TEXT NOT NULL,
  args TEXT NOT NULL,
  person TEXT NOT NULL,
  at_us INTEGER NOT NULL,
  expires_us INTEGER NOT NULL,
  answered_at_us INTEGER,
  ok INTEGER,
  code TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX command_device ON command(device, at_us);

CREATE TABLE audit(
  id INTEGER PRIMARY KEY,
  at_us INTEGER NOT NULL,
  event TEXT NOT NULL,
  outcome TEXT NOT NULL,
  person TEXT NOT NULL,
  device TEXT NOT NULL,
  place TEXT NOT NULL,
  about TEXT NOT NULL
) STRICT;

CREATE TABLE firmware(
  board TEXT NOT NULL,
  version TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  signature TEXT NOT NULL,
  added_at_us INTEGER NOT NULL,
  PRIMARY KEY (board, version)
) STRICT
"""

_DUPLICATES = """
CREATE TABLE duplicate_decision(
  id INTEGER PRIMARY KEY,
  one INTEGER NOT NULL REFERENCES capture(id) ON DELETE CASCADE,
  other INTEGER NOT NULL REFERENCES capture(id) ON DELETE CASCADE,
  front INTEGER NOT NULL,
  what TEXT NOT NULL CHECK (what IN ('same','apart','withdrawn')),
  kind TEXT NOT NULL,
  evidence TEXT NOT NULL,
  person TEXT NOT NULL,
  at_us INTEGER NOT NULL,
  CHECK (one < other AND front IN (one, other))
) STRICT;
CREATE INDEX duplicate_decision_pair ON duplicate_decision(one, other, id);
CREATE INDEX duplicate_decision_other ON duplicate_decision(other);
CREATE INDEX duplicate_decision_front ON duplicate_decision(front);

CREATE TABLE duplicate_aside(
  capture INTEGER NOT NULL REFERENCES capture(id) ON DELETE CASCADE,
  step TEXT NOT NULL,
  kind TEXT NOT NULL,
  of INTEGER NOT NULL REFERENCES capture(id) ON DELETE CASCADE,
  evidence TEXT NOT NULL,
  PRIMARY KEY (capture, of)
) STRICT;
CREATE INDEX duplicate_aside_of ON duplicate_aside(of);
CREATE INDEX duplicate_kind ON duplicate(kind, of);

INSERT INTO duplicate_aside(capture, step, kind, of, evidence)
  SELECT d.capture, d.step, d.kind, d.of, d.evidence FROM duplicate AS d WHERE 'not-duplicate' =
    (SELECT e.what FROM decision AS e WHERE e.capture = d.capture
     AND e.what IN ('not-duplicate','duplicate-again') ORDER BY e.id DESC LIMIT 1);
DELETE FROM duplicate WHERE capture IN (SELECT capture FROM duplicate_aside)
"""

_ASKED = """
CREATE TABLE asked(id INTEGER PRIMARY KEY, step TEXT NOT NULL, answers TEXT NOT NULL, UNIQUE (step, answers)) STRICT;
ALTER TABLE annotation ADD COLUMN asked INTEGER REFERENCES asked(id);

CREATE TEMP TABLE told AS
  SELECT id, step,
    CASE
      WHEN step = 'asr' AND missing THEN json_object('asr', '', 'asr-draft', '')
      WHEN step = 'asr' AND json_extract(data, '$.draft') THEN json_object('asr', '', 'asr-draft', name)
      ELSE json_object(task, name)
    END AS answers
  FROM (
    SELECT a.id, a.step, a.data, a.skip_code = 'model-missing' AS missing,
      CASE WHEN a.model = '' THEN '' ELSE a.model || '@' || a.revision || '/' || a.preprocessing END AS name,
      CASE a.step WHEN 'look' THEN 'embed-image' WHEN 'embed' THEN 'embed-text' WHEN 'speakers' THEN 'embed-speaker'
        WHEN 'quality' THEN 'pixels' ELSE a.step END AS task
    FROM capture AS c JOIN annotation AS a ON a.capture = c.id AND a.segment = 0
    WHERE a.current = 1 AND (a.skip_code = 'model-missing' OR (a.skipped = '' AND (
      (a.step = 'asr' AND a.model <> '') OR
      (a.step = 'caption' AND c.kind = 'image' AND json_extract(a.data, '$.captioner') IS NULL)))));
INSERT INTO asked(step, answers) SELECT DISTINCT step, answers FROM told;
UPDATE annotation SET asked = q.id FROM told AS t JOIN asked AS q ON q.step = t.step AND q.answers = t.answers
  WHERE annotation.id = t.id;
DROP TABLE told;
CREATE INDEX annotation_asked ON annotation(asked, capture) WHERE current = 1 AND asked IS NOT NULL;
DROP INDEX annotation_missing
"""
