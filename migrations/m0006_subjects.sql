CREATE TABLE subject_timers (
  tenant_id {id} NOT NULL,
  subject_id {id} NOT NULL,
  due_us bigint NOT NULL,
  timer_id {id} NOT NULL,
  PRIMARY KEY (tenant_id, subject_id, due_us, timer_id)
) {clustered};
INSERT INTO subject_timers (tenant_id, subject_id, due_us, timer_id)
  SELECT tenant_id, subject_id, due_us, id FROM timers WHERE subject_id IS NOT NULL;
DROP INDEX timers_of_subject;
