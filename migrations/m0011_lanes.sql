DROP INDEX actions_lane;
CREATE INDEX actions_lane ON actions (lane, planned_us) WHERE state = 'planned' OR state = 'sending' OR state = 'unknown';
