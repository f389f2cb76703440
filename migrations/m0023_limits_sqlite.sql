CREATE TABLE calls_by_account (
  id {id} NOT NULL PRIMARY KEY,
  tenant_id {id} NOT NULL REFERENCES tenants (id),
  contact_id {id},
  provider_sid text NOT NULL,
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
  streamed integer NOT NULL,
  account_sid text
);
INSERT INTO calls_by_account (id, tenant_id, contact_id, provider_sid, direction, peer, peer_key, number, action_id, status, answered_by,
  duration_s, recording_sid, recording_url, error_code, detail, state, turns, heard, result, started_us, ended_us, told, streamed)
  SELECT id, tenant_id, contact_id, provider_sid, direction, peer, peer_key, number, action_id, status, answered_by,
  duration_s, recording_sid, recording_url, error_code, detail, state, turns, heard, result, started_us, ended_us, told, streamed FROM calls;
DROP TABLE calls;
ALTER TABLE calls_by_account RENAME TO calls;
CREATE UNIQUE INDEX calls_by_sid ON calls (provider_sid, tenant_id);
CREATE INDEX calls_of_tenant ON calls (tenant_id, started_us);
CREATE INDEX calls_of_contact ON calls (contact_id, started_us);
CREATE INDEX calls_open ON calls (started_us, id) WHERE ended_us IS NULL;
CREATE INDEX calls_untold ON calls (ended_us) WHERE told = false AND ended_us IS NOT NULL;
CREATE INDEX calls_of_action ON calls (action_id, tenant_id) WHERE action_id IS NOT NULL;
CREATE INDEX calls_of_peer ON calls (tenant_id, peer_key, started_us);
CREATE TRIGGER campaign_members_counted_in AFTER INSERT ON campaign_members
  BEGIN
    INSERT INTO campaign_counts (campaign_id, kind, name, rows_n, sum_n)
      SELECT NEW.campaign_id, NEW.state, coalesce(NEW.outcome, ''), 1, NEW.tries WHERE true
      ON CONFLICT (campaign_id, kind, name) DO UPDATE SET
        rows_n = campaign_counts.rows_n + excluded.rows_n, sum_n = campaign_counts.sum_n + excluded.sum_n; END;
CREATE TRIGGER campaign_members_counted_anew AFTER UPDATE OF state, outcome, tries ON campaign_members
  BEGIN
    INSERT INTO campaign_counts (campaign_id, kind, name, rows_n, sum_n)
      SELECT OLD.campaign_id, OLD.state, coalesce(OLD.outcome, ''), -1, -OLD.tries WHERE true
      ON CONFLICT (campaign_id, kind, name) DO UPDATE SET
        rows_n = campaign_counts.rows_n + excluded.rows_n, sum_n = campaign_counts.sum_n + excluded.sum_n; INSERT INTO campaign_counts (campaign_id, kind, name, rows_n, sum_n)
      SELECT NEW.campaign_id, NEW.state, coalesce(NEW.outcome, ''), 1, NEW.tries WHERE true
      ON CONFLICT (campaign_id, kind, name) DO UPDATE SET
        rows_n = campaign_counts.rows_n + excluded.rows_n, sum_n = campaign_counts.sum_n + excluded.sum_n; END;
CREATE TRIGGER campaign_members_counted_out AFTER DELETE ON campaign_members
  BEGIN
    INSERT INTO campaign_counts (campaign_id, kind, name, rows_n, sum_n)
      SELECT OLD.campaign_id, OLD.state, coalesce(OLD.outcome, ''), -1, -OLD.tries WHERE true
      ON CONFLICT (campaign_id, kind, name) DO UPDATE SET
        rows_n = campaign_counts.rows_n + excluded.rows_n, sum_n = campaign_counts.sum_n + excluded.sum_n; END;
CREATE TRIGGER calls_counted_in AFTER INSERT ON calls
  WHEN NEW.action_id IS NOT NULL
  BEGIN
    INSERT INTO campaign_counts (campaign_id, kind, name, rows_n, sum_n)
      SELECT c.id, 'call', NEW.status, 1, coalesce(NEW.duration_s, 0)
      FROM actions a JOIN campaigns c ON c.id = a.event_id WHERE a.id = NEW.action_id
      ON CONFLICT (campaign_id, kind, name) DO UPDATE SET
        rows_n = campaign_counts.rows_n + excluded.rows_n, sum_n = campaign_counts.sum_n + excluded.sum_n; END;
CREATE TRIGGER calls_counted_anew AFTER UPDATE OF status, duration_s, action_id ON calls
  WHEN OLD.action_id IS NOT NULL OR NEW.action_id IS NOT NULL
  BEGIN
    INSERT INTO campaign_counts (campaign_id, kind, name, rows_n, sum_n)
      SELECT c.id, 'call', OLD.status, -1, -coalesce(OLD.duration_s, 0)
      FROM actions a JOIN campaigns c ON c.id = a.event_id WHERE a.id = OLD.action_id
      ON CONFLICT (campaign_id, kind, name) DO UPDATE SET
        rows_n = campaign_counts.rows_n + excluded.rows_n, sum_n = campaign_counts.sum_n + excluded.sum_n; INSERT INTO campaign_counts (campaign_id, kind, name, rows_n, sum_n)
      SELECT c.id, 'call', NEW.status, 1, coalesce(NEW.duration_s, 0)
      FROM actions a JOIN campaigns c ON c.id = a.event_id WHERE a.id = NEW.action_id
      ON CONFLICT (campaign_id, kind, name) DO UPDATE SET
        rows_n = campaign_counts.rows_n + excluded.rows_n, sum_n = campaign_counts.sum_n + excluded.sum_n; END;
CREATE TRIGGER messages_counted_in AFTER INSERT ON messages
  WHEN NEW.direction = 'out' AND NEW.origin = 'business' AND NEW.channel <> 'voice'
  BEGIN
    INSERT INTO campaign_counts (campaign_id, kind, name, rows_n, sum_n)
      SELECT c.id, 'message', NEW.status, 1, 0
      FROM actions a JOIN campaigns c ON c.id = a.event_id WHERE a.id = NEW.id
      ON CONFLICT (campaign_id, kind, name) DO UPDATE SET
        rows_n = campaign_counts.rows_n + excluded.rows_n, sum_n = campaign_counts.sum_n + excluded.sum_n; END;
CREATE TRIGGER messages_counted_anew AFTER UPDATE OF status ON messages
  WHEN OLD.status <> NEW.status AND NEW.direction = 'out' AND NEW.origin = 'business' AND NEW.channel <> 'voice'
  BEGIN
    INSERT INTO campaign_counts (campaign_id, kind, name, rows_n, sum_n)
      SELECT c.id, 'message', OLD.status, -1, 0
      FROM actions a JOIN campaigns c ON c.id = a.event_id WHERE a.id = OLD.id
      ON CONFLICT (campaign_id, kind, name) DO UPDATE SET
        rows_n = campaign_counts.rows_n + excluded.rows_n, sum_n = campaign_counts.sum_n + excluded.sum_n; INSERT INTO campaign_counts (campaign_id, kind, name, rows_n, sum_n)
      SELECT c.id, 'message', NEW.status, 1, 0
      FROM actions a JOIN campaigns c ON c.id = a.event_id WHERE a.id = NEW.id
      ON CONFLICT (campaign_id, kind, name) DO UPDATE SET
        rows_n = campaign_counts.rows_n + excluded.rows_n, sum_n = campaign_counts.sum_n + excluded.sum_n; END;
