CREATE TABLE settings (
  name text NOT NULL PRIMARY KEY,
  value text NOT NULL
);

CREATE TABLE tenants (
  id {id} NOT NULL PRIMARY KEY,
  slug text NOT NULL UNIQUE,
  name text NOT NULL,
  zone text NOT NULL,
  language text NOT NULL,
  account_sid text,
  auth_token text,
  auth_token_secondary text,
  settings text NOT NULL,
  created_us bigint NOT NULL
);

CREATE TABLE senders (
  id {id} NOT NULL PRIMARY KEY,
  tenant_id {id} NOT NULL REFERENCES tenants (id),
  channel text NOT NULL,
  number text NOT NULL,
  base_url text,
  created_us bigint NOT NULL,
  UNIQUE (channel, number)
);
CREATE INDEX senders_of_tenant ON senders (tenant_id, channel);

CREATE TABLE contacts (
  id {id} NOT NULL PRIMARY KEY,
  tenant_id {id} NOT NULL REFERENCES tenants (id),
  phone text NOT NULL,
  phone_key text NOT NULL,
  name text NOT NULL,
  profile_name text NOT NULL,
  tags text NOT NULL,
  fields text NOT NULL,
  inbound_count bigint NOT NULL,
  last_sms_us bigint,
  last_whatsapp_us bigint,
  created_us bigint NOT NULL
);
CREATE UNIQUE INDEX contacts_by_phone ON contacts (tenant_id, phone_key);

CREATE TABLE contact_history (
  id {id} NOT NULL PRIMARY KEY,
  tenant_id {id} NOT NULL,
  contact_id {id} NOT NULL,
  at_us bigint NOT NULL,
  kind text NOT NULL,
  name text NOT NULL,
  old text,
  new text,
  action_id {id}
) {clustered};
CREATE INDEX contact_history_of_contact ON contact_history (tenant_id, contact_id, at_us);

CREATE TABLE messages (
  id {id} NOT NULL PRIMARY KEY,
  tenant_id {id} NOT NULL,
  contact_id {id},
  channel text NOT NULL,
  direction text NOT NULL,
  origin text NOT NULL,
  peer text NOT NULL,
  peer_key text NOT NULL,
  ours text NOT NULL,
  body text NOT NULL,
  extra text NOT NULL,
  status text NOT NULL,
  status_rank smallint NOT NULL,
  provider_sid text,
  error_code bigint,
  segments integer NOT NULL,
  at_us bigint NOT NULL,
  late boolean NOT NULL,
  repeats integer NOT NULL
);
CREATE UNIQUE INDEX messages_by_sid ON messages (provider_sid, tenant_id) WHERE provider_sid IS NOT NULL;
CREATE INDEX messages_of_contact ON messages (contact_id, at_us);

CREATE TABLE events (
  id {id} NOT NULL PRIMARY KEY,
  tenant_id {id} NOT NULL,
  kind text NOT NULL,
  channel text,
  contact_id {id},
  occurred_us bigint NOT NULL,
  dedupe_key text,
  depth smallint NOT NULL,
  data text NOT NULL,
  handled_us bigint
);
CREATE UNIQUE INDEX events_dedupe ON events (tenant_id, dedupe_key) WHERE dedupe_key IS NOT NULL;
CREATE INDEX events_pending ON events (tenant_id, id) WHERE handled_us IS NULL;

CREATE TABLE rule_runs (
  event_id {id} NOT NULL PRIMARY KEY,
  tenant_id {id} NOT NULL,
  decided_us bigint NOT NULL,
  trace text NOT NULL
);

CREATE TABLE actions (
  id {id} NOT NULL PRIMARY KEY,
  tenant_id {id} NOT NULL,
  event_id {id} NOT NULL,
  contact_id {id},
  rule text NOT NULL,
  idx integer NOT NULL,
  kind text NOT NULL,
  state text NOT NULL,
  channel text,
  sender text,
  recipient text,
  peer_key text,
  lane text,
  route text,
  account_sid text,
  origin text NOT NULL,
  payload text NOT NULL,
  tries integer NOT NULL,
  planned_us bigint NOT NULL,
  due_us bigint NOT NULL,
  first_try_us bigint,
  tried_us bigint,
  reason text,
  error_code bigint,
  provider_sid text
);
CREATE INDEX actions_ready ON actions (tenant_id, route, due_us, planned_us) WHERE state = 'planned';
CREATE INDEX actions_lane ON actions (lane, planned_us) WHERE state IN ('planned', 'sending', 'unknown');
CREATE INDEX actions_in_doubt ON actions (state, due_us) WHERE state IN ('sending', 'unknown');

CREATE TABLE attempts (
  action_id {id} NOT NULL,
  n integer NOT NULL,
  tenant_id {id} NOT NULL,
  started_us bigint NOT NULL,
  not_after_us bigint NOT NULL,
  finished_us bigint,
  outcome text,
  http_status integer,
  error_code bigint,
  detail text,
  PRIMARY KEY (action_id, n)
) {clustered};

CREATE TABLE opt_outs (
  tenant_id {id} NOT NULL,
  channel text NOT NULL,
  peer_key text NOT NULL,
  sender text NOT NULL,
  active boolean NOT NULL,
  word text NOT NULL,
  at_us bigint NOT NULL,
  PRIMARY KEY (tenant_id, peer_key, channel, sender)
) {clustered};

CREATE TABLE opt_out_history (
  id {id} NOT NULL PRIMARY KEY,
  tenant_id {id} NOT NULL,
  channel text NOT NULL,
  peer_key text NOT NULL,
  sender text NOT NULL,
  active boolean NOT NULL,
  word text NOT NULL,
  at_us bigint NOT NULL
) {clustered};
CREATE INDEX opt_out_history_of_peer ON opt_out_history (tenant_id, peer_key, at_us);
