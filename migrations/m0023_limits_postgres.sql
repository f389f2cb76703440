ALTER TABLE calls ADD COLUMN account_sid text;
ALTER TABLE calls DROP CONSTRAINT calls_provider_sid_key;
CREATE UNIQUE INDEX calls_by_sid ON calls (provider_sid, tenant_id);
CREATE FUNCTION count_campaign_members_in() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO campaign_counts (campaign_id, kind, name, rows_n, sum_n)
      SELECT campaign_id, state, coalesce(outcome, ''), count(*), coalesce(sum(tries), 0)
      FROM added GROUP BY campaign_id, state, coalesce(outcome, '')
      ON CONFLICT (campaign_id, kind, name) DO UPDATE SET
        rows_n = campaign_counts.rows_n + excluded.rows_n, sum_n = campaign_counts.sum_n + excluded.sum_n; RETURN NULL; END $$;
CREATE TRIGGER campaign_members_counted_in AFTER INSERT ON campaign_members REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION count_campaign_members_in();
CREATE FUNCTION count_campaign_members_out() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO campaign_counts (campaign_id, kind, name, rows_n, sum_n)
      SELECT campaign_id, state, coalesce(outcome, ''), -count(*), -coalesce(sum(tries), 0)
      FROM gone GROUP BY campaign_id, state, coalesce(outcome, '')
      ON CONFLICT (campaign_id, kind, name) DO UPDATE SET
        rows_n = campaign_counts.rows_n + excluded.rows_n, sum_n = campaign_counts.sum_n + excluded.sum_n; RETURN NULL; END $$;
CREATE TRIGGER campaign_members_counted_out AFTER DELETE ON campaign_members REFERENCING OLD TABLE AS gone
  FOR EACH STATEMENT EXECUTE FUNCTION count_campaign_members_out();
CREATE FUNCTION count_campaign_members_anew() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO campaign_counts (campaign_id, kind, name, rows_n, sum_n)
      SELECT OLD.campaign_id, OLD.state, coalesce(OLD.outcome, ''), -1, -OLD.tries WHERE true
      ON CONFLICT (campaign_id, kind, name) DO UPDATE SET
        rows_n = campaign_counts.rows_n + excluded.rows_n, sum_n = campaign_counts.sum_n + excluded.sum_n; INSERT INTO campaign_counts (campaign_id, kind, name, rows_n, sum_n)
      SELECT NEW.campaign_id, NEW.state, coalesce(NEW.outcome, ''), 1, NEW.tries WHERE true
      ON CONFLICT (campaign_id, kind, name) DO UPDATE SET
        rows_n = campaign_counts.rows_n + excluded.rows_n, sum_n = campaign_counts.sum_n + excluded.sum_n; RETURN NULL; END $$;
CREATE TRIGGER campaign_members_counted_anew AFTER UPDATE OF state, outcome, tries ON campaign_members
  FOR EACH ROW EXECUTE FUNCTION count_campaign_members_anew();
CREATE FUNCTION count_calls_in() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO campaign_counts (campaign_id, kind, name, rows_n, sum_n)
      SELECT c.id, 'call', NEW.status, 1, coalesce(NEW.duration_s, 0)
      FROM actions a JOIN campaigns c ON c.id = a.event_id WHERE a.id = NEW.action_id
      ON CONFLICT (campaign_id, kind, name) DO UPDATE SET
        rows_n = campaign_counts.rows_n + excluded.rows_n, sum_n = campaign_counts.sum_n + excluded.sum_n; RETURN NULL; END $$;
CREATE TRIGGER calls_counted_in AFTER INSERT ON calls
  FOR EACH ROW WHEN (NEW.action_id IS NOT NULL) EXECUTE FUNCTION count_calls_in();
CREATE FUNCTION count_calls_anew() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO campaign_counts (campaign_id, kind, name, rows_n, sum_n)
      SELECT c.id, 'call', OLD.status, -1, -coalesce(OLD.duration_s, 0)
      FROM actions a JOIN campaigns c ON c.id = a.event_id WHERE a.id = OLD.action_id
      ON CONFLICT (campaign_id, kind, name) DO UPDATE SET
        rows_n = campaign_counts.rows_n + excluded.rows_n, sum_n = campaign_counts.sum_n + excluded.sum_n; INSERT INTO campaign_counts (campaign_id, kind, name, rows_n, sum_n)
      SELECT c.id, 'call', NEW.status, 1, coalesce(NEW.duration_s, 0)
      FROM actions a JOIN campaigns c ON c.id = a.event_id WHERE a.id = NEW.action_id
      ON CONFLICT (campaign_id, kind, name) DO UPDATE SET
        rows_n = campaign_counts.rows_n + excluded.rows_n, sum_n = campaign_counts.sum_n + excluded.sum_n; RETURN NULL; END $$;
CREATE TRIGGER calls_counted_anew AFTER UPDATE OF status, duration_s, action_id ON calls
  FOR EACH ROW WHEN (OLD.action_id IS NOT NULL OR NEW.action_id IS NOT NULL) EXECUTE FUNCTION count_calls_anew();
CREATE FUNCTION count_messages_in() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO campaign_counts (campaign_id, kind, name, rows_n, sum_n)
      SELECT c.id, 'message', NEW.status, 1, 0
      FROM actions a JOIN campaigns c ON c.id = a.event_id WHERE a.id = NEW.id
      ON CONFLICT (campaign_id, kind, name) DO UPDATE SET
        rows_n = campaign_counts.rows_n + excluded.rows_n, sum_n = campaign_counts.sum_n + excluded.sum_n; RETURN NULL; END $$;
CREATE TRIGGER messages_counted_in AFTER INSERT ON messages
  FOR EACH ROW WHEN (NEW.direction = 'out' AND NEW.origin = 'business' AND NEW.channel <> 'voice') EXECUTE FUNCTION count_messages_in();
CREATE FUNCTION count_messages_anew() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO campaign_counts (campaign_id, kind, name, rows_n, sum_n)
      SELECT c.id, 'message', OLD.status, -1, 0
      FROM actions a JOIN campaigns c ON c.id = a.event_id WHERE a.id = OLD.id
      ON CONFLICT (campaign_id, kind, name) DO UPDATE SET
        rows_n = campaign_counts.rows_n + excluded.rows_n, sum_n = campaign_counts.sum_n + excluded.sum_n; INSERT INTO campaign_counts (campaign_id, kind, name, rows_n, sum_n)
      SELECT c.id, 'message', NEW.status, 1, 0
      FROM actions a JOIN campaigns c ON c.id = a.event_id WHERE a.id = NEW.id
      ON CONFLICT (campaign_id, kind, name) DO UPDATE SET
        rows_n = campaign_counts.rows_n + excluded.rows_n, sum_n = campaign_counts.sum_n + excluded.sum_n; RETURN NULL; END $$;
CREATE TRIGGER messages_counted_anew AFTER UPDATE OF status ON messages
  FOR EACH ROW WHEN (OLD.status <> NEW.status AND NEW.direction = 'out' AND NEW.origin = 'business' AND NEW.channel <> 'voice') EXECUTE FUNCTION count_messages_anew();
