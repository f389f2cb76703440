CREATE TABLE calls (
  id {id} NOT NULL PRIMARY KEY,
  tenant_id {id} NOT NULL REFERENCES tenants (id),
  contact_id {id},
  provider_sid text NOT NULL UNIQUE,
  direction text NOT NULL,
  peer text NOT NULL,
  peer_key text NOT NULL,
  number text NOT NULL,
  action_id {id},
  status text NOT NULL,
  answered_by text,
  duration_s integer,
  recording_sid text,
  recording_url text,
  error_code bigint,
  detail text,
  state text NOT NULL,
  turns integer NOT NULL,
  heard boolean NOT NULL,
  result text,
  started_us bigint NOT NULL,
  ended_us bigint,
  told boolean NOT NULL,
  streamed integer NOT NULL
);
CREATE INDEX calls_of_tenant ON calls (tenant_id, started_us);
CREATE INDEX calls_of_contact ON calls (contact_id, started_us);
CREATE INDEX calls_open ON calls (started_us, id) WHERE ended_us IS NULL;
CREATE INDEX calls_untold ON calls (ended_us) WHERE told = false AND ended_us IS NOT NULL;

CREATE TABLE call_turns (
  call_id {id} NOT NULL,
  n integer NOT NULL,
  tenant_id {id} NOT NULL,
  key_text text NOT NULL,
  event_id {id} NOT NULL,
  at_us bigint NOT NULL,
  heard text NOT NULL,
  answer text,
  how text,
  took_ms integer,
  PRIMARY KEY (call_id, n),
  UNIQUE (call_id, key_text)
) {clustered};
