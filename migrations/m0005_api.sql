CREATE TABLE api_tokens (
  id {id} NOT NULL PRIMARY KEY,
  tenant_id {id} NOT NULL REFERENCES tenants (id),
  name text NOT NULL,
  hash text NOT NULL UNIQUE,
  created_us bigint NOT NULL,
  revoked_us bigint
);
CREATE INDEX api_tokens_of_tenant ON api_tokens (tenant_id, created_us);

CREATE TABLE idempotency_keys (
  tenant_id {id} NOT NULL,
  key_text text NOT NULL,
  request_hash text NOT NULL,
  made_id {id} NOT NULL,
  held_until_us bigint NOT NULL,
  status smallint,
  body text,
  at_us bigint NOT NULL,
  PRIMARY KEY (tenant_id, key_text)
) {clustered};
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (at_us);
