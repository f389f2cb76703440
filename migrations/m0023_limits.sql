ALTER TABLE api_tokens ADD COLUMN expires_us bigint;
ALTER TABLE api_tokens ADD COLUMN used_us bigint;

CREATE TABLE number_purchases (
  tenant_id {id} NOT NULL,
  at_us bigint NOT NULL,
  number text NOT NULL,
  PRIMARY KEY (tenant_id, at_us, number)
) {clustered};

CREATE TABLE send_counts (
  tenant_id {id} NOT NULL,
  hour bigint NOT NULL,
  sends bigint NOT NULL,
  PRIMARY KEY (tenant_id, hour)
) {clustered};

CREATE TABLE campaign_counts (
  campaign_id {id} NOT NULL,
  kind text NOT NULL,
  name text NOT NULL,
  rows_n bigint NOT NULL,
  sum_n bigint NOT NULL,
  PRIMARY KEY (campaign_id, kind, name)
) {clustered};
INSERT INTO campaign_counts (campaign_id, kind, name, rows_n, sum_n)
  SELECT campaign_id, state, coalesce(outcome, ''), count(*), coalesce(sum(tries), 0)
  FROM campaign_members GROUP BY campaign_id, state, coalesce(outcome, '');
INSERT INTO campaign_counts (campaign_id, kind, name, rows_n, sum_n)
  SELECT c.id, 'call', k.status, count(*), coalesce(sum(k.duration_s), 0)
  FROM campaigns c JOIN actions a ON a.event_id = c.id JOIN calls k ON k.action_id = a.id GROUP BY c.id, k.status;
INSERT INTO campaign_counts (campaign_id, kind, name, rows_n, sum_n)
  SELECT c.id, 'message', m.status, count(*), 0
  FROM campaigns c JOIN actions a ON a.event_id = c.id JOIN messages m ON m.id = a.id
  WHERE m.channel <> 'voice' GROUP BY c.id, m.status;
