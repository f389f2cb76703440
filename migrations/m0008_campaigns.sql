CREATE TABLE campaigns (
  id {id} NOT NULL PRIMARY KEY,
  tenant_id {id} NOT NULL REFERENCES tenants (id),
  name text NOT NULL,
  state text NOT NULL,
  plan text NOT NULL,
  paced_us bigint NOT NULL,
  created_us bigint NOT NULL,
  changed_us bigint NOT NULL,
  UNIQUE (tenant_id, name)
);
CREATE INDEX campaigns_running ON campaigns (id) WHERE state = 'running';

CREATE TABLE campaign_members (
  campaign_id {id} NOT NULL,
  peer_key text NOT NULL,
  tenant_id {id} NOT NULL,
  phone text NOT NULL,
  name text NOT NULL,
  fields text NOT NULL,
  state text NOT NULL,
  n integer NOT NULL,
  tries integer NOT NULL,
  due_us bigint NOT NULL,
  action_id {id},
  outcome text,
  detail text,
  PRIMARY KEY (campaign_id, peer_key)
) {clustered};
CREATE INDEX campaign_members_due ON campaign_members (campaign_id, state, due_us);
CREATE INDEX calls_of_action ON calls (action_id, tenant_id) WHERE action_id IS NOT NULL;
