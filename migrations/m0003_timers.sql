CREATE TABLE timers (
  due_us bigint NOT NULL,
  id {id} NOT NULL,
  tenant_id {id} NOT NULL,
  purpose text NOT NULL,
  rule text NOT NULL,
  timing text NOT NULL,
  contact_id {id},
  subject_id {id},
  payload text NOT NULL,
  PRIMARY KEY (due_us, id)
) {clustered};
CREATE INDEX timers_of_subject ON timers (tenant_id, subject_id) WHERE subject_id IS NOT NULL;
CREATE INDEX timers_of_cron ON timers (tenant_id, rule) WHERE purpose = 'cron';

CREATE TABLE timers_set_aside (
  due_us bigint NOT NULL,
  id {id} NOT NULL,
  tenant_id {id} NOT NULL,
  purpose text NOT NULL,
  rule text NOT NULL,
  timing text NOT NULL,
  contact_id {id},
  subject_id {id},
  payload text NOT NULL,
  tries integer NOT NULL,
  retry_us bigint,
  error text NOT NULL,
  PRIMARY KEY (due_us, id)
) {clustered};
CREATE INDEX timers_to_retry ON timers_set_aside (retry_us) WHERE retry_us IS NOT NULL;

CREATE INDEX contacts_of_tenant ON contacts (tenant_id, id);

ALTER TABLE actions ADD COLUMN subject_id {id};
ALTER TABLE actions ADD COLUMN expires_us bigint;
CREATE INDEX actions_of_subject ON actions (tenant_id, subject_id) WHERE subject_id IS NOT NULL;

CREATE TABLE rule_firings (
  tenant_id {id} NOT NULL,
  contact_id {id} NOT NULL,
  rule text NOT NULL,
  at_us bigint NOT NULL,
  event_id {id} NOT NULL,
  PRIMARY KEY (tenant_id, contact_id, rule, at_us, event_id)
) {clustered};

CREATE TABLE questions (
  tenant_id {id} NOT NULL,
  contact_id {id} NOT NULL,
  channel text NOT NULL,
  id {id} NOT NULL,
  rule text NOT NULL,
  name text NOT NULL,
  state text NOT NULL,
  asked_us bigint NOT NULL,
  expires_us bigint NOT NULL,
  PRIMARY KEY (tenant_id, contact_id, channel)
) {clustered};
