CREATE TABLE call_legs (
  call_id {id} NOT NULL,
  n integer NOT NULL,
  tenant_id {id} NOT NULL,
  provider_sid text,
  peer text NOT NULL,
  peer_key text NOT NULL,
  status text NOT NULL,
  status_rank smallint NOT NULL,
  duration_s integer,
  began_us bigint NOT NULL,
  ended_us bigint,
  PRIMARY KEY (call_id, n)
) {clustered};
CREATE INDEX call_legs_of_peer ON call_legs (tenant_id, peer_key);
CREATE INDEX calls_of_peer ON calls (tenant_id, peer_key, started_us);
