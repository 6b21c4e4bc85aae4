"""What Prometheus reads. Base units; a device may be a label, a person never is."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY = CollectorRegistry()

_SHORT = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_LONG = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

received = Counter("hearthlog_captures_received", "Captures that arrived", ["lane", "device"], registry=REGISTRY)
stored = Counter("hearthlog_captures_stored", "Captures made durable", ["lane", "device"], registry=REGISTRY)
repeated = Counter("hearthlog_captures_repeated", "Captures that were here already", ["lane"], registry=REGISTRY)
rejected = Counter(
    "hearthlog_captures_rejected",
    "Captures refused, or not taken for now, by reason",
    ["lane", "code"],
    registry=REGISTRY,
)
ignored = Counter("hearthlog_messages_ignored", "Messages that changed nothing", ["why"], registry=REGISTRY)
ack_seconds = Histogram(
    "hearthlog_ack_seconds", "From a record's arrival to its acknowledgement", registry=REGISTRY, buckets=_SHORT
)
step_seconds = Histogram(
    "hearthlog_step_seconds", "One step for one capture", ["step"], registry=REGISTRY, buckets=_LONG
)
steps_done = Counter("hearthlog_steps", "Steps ended, by how", ["step", "outcome"], registry=REGISTRY)
queue_depth = Gauge("hearthlog_queue_depth", "Jobs waiting", ["step"], registry=REGISTRY)
queue_oldest_seconds = Gauge(
    "hearthlog_queue_oldest_seconds", "Age of the oldest waiting job", ["step"], registry=REGISTRY
)
dead_letters = Gauge("hearthlog_dead_letters", "Jobs set aside", ["step"], registry=REGISTRY)
index_lag = Gauge("hearthlog_index_lag_changes", "Changes an index has not followed yet", ["index"], registry=REGISTRY)
index_rebuilds = Counter(
    "hearthlog_index_rebuilds", "Times an index was made anew", ["index", "why"], registry=REGISTRY
)
reembedding = Gauge(
    "hearthlog_reembedding_memories", "Memories that a new model has not read again yet", ["step"], registry=REGISTRY
)
reembedded = Counter("hearthlog_reembeddings", "Times a new model took over", ["step"], registry=REGISTRY)
search_seconds = Histogram("hearthlog_search_seconds", "One search", registry=REGISTRY, buckets=_SHORT)
worker_restarts = Counter(
    "hearthlog_worker_restarts", "Worker processes that ended early", ["slot", "why"], registry=REGISTRY
)
disk_free_bytes = Gauge("hearthlog_disk_free_bytes", "Free space where the data lies", registry=REGISTRY)
memory_bytes = Gauge("hearthlog_memory_bytes", "Resident memory", ["process"], registry=REGISTRY)
temperature_celsius = Gauge("hearthlog_temperature_celsius", "Of the processor", registry=REGISTRY)
temperature_waits = Gauge(
    "hearthlog_temperature_waits", "Too warm: 1 the backlog waits, 2 what cameras send too", registry=REGISTRY
)
broker_connected = Gauge("hearthlog_broker_connected", "1 while this lane is connected", ["lane"], registry=REGISTRY)

device_battery_ratio = Gauge("hearthlog_device_battery_ratio", "As the camera tells", ["device"], registry=REGISTRY)
device_rssi_dbm = Gauge("hearthlog_device_rssi_dbm", "As the camera tells", ["device"], registry=REGISTRY)
device_spool_ratio = Gauge(
    "hearthlog_device_spool_ratio", "How full its card is, as it tells", ["device"], registry=REGISTRY
)
device_spool_waiting = Gauge(
    "hearthlog_device_spool_records", "Records on its card, not acknowledged yet", ["device"], registry=REGISTRY
)
device_quarantined = Gauge(
    "hearthlog_device_quarantined_records", "Records on its card, refused for ever", ["device"], registry=REGISTRY
)
device_clock_error_seconds = Gauge(
    "hearthlog_device_clock_error_seconds", "As the camera tells", ["device"], registry=REGISTRY
)
device_lost_today = Gauge(
    "hearthlog_device_lost_records", "Records of the home's day that it says it lost", ["device"], registry=REGISTRY
)
device_last_seen_timestamp_seconds = Gauge(
    "hearthlog_device_last_seen_timestamp_seconds", "When it last said anything", ["device"], registry=REGISTRY
)
OF_DEVICES = (
    device_battery_ratio,
    device_rssi_dbm,
    device_spool_ratio,
    device_spool_waiting,
    device_quarantined,
    device_clock_error_seconds,
    device_lost_today,
    device_last_seen_timestamp_seconds,
)
"""Written anew at each reading (`Devices.measure`): a camera that does not tell has no sample, which is not 0."""


def exposition() -> bytes:
    """All metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)
