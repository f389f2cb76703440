ALTER TABLE actions ADD COLUMN head boolean NOT NULL DEFAULT false;
UPDATE actions SET head = true WHERE id IN (
  SELECT id FROM (
    SELECT id, row_number() OVER (
      PARTITION BY lane ORDER BY CASE WHEN state = 'planned' THEN 1 ELSE 0 END, planned_us, id) AS place
    FROM actions
    WHERE lane IS NOT NULL AND (state = 'planned' OR state = 'sending' OR state = 'unknown')) AS line
  WHERE place = 1);
CREATE UNIQUE INDEX actions_head ON actions (lane) WHERE head AND (state = 'planned' OR state = 'sending' OR state = 'unknown');
CREATE INDEX actions_claimable ON actions (tenant_id, route, due_us, planned_us)
  WHERE state = 'planned' AND (head OR lane IS NULL);
DROP INDEX actions_ready;

CREATE TABLE events_set_aside (
  event_id {id} NOT NULL PRIMARY KEY,
  tenant_id {id} NOT NULL,
  at_us bigint NOT NULL,
  tries integer NOT NULL,
  retry_us bigint,
  error text NOT NULL
) {clustered};
CREATE INDEX events_set_aside_of_tenant ON events_set_aside (tenant_id, at_us);
CREATE INDEX events_to_retry ON events_set_aside (retry_us) WHERE retry_us IS NOT NULL;
