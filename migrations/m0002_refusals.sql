CREATE TABLE refusals (
  tenant_id {id} NOT NULL,
  hour_us bigint NOT NULL,
  route text NOT NULL,
  kind text NOT NULL,
  count bigint NOT NULL,
  last_us bigint NOT NULL,
  detail text NOT NULL,
  PRIMARY KEY (tenant_id, hour_us, route, kind)
) {clustered};
CREATE INDEX refusals_by_hour ON refusals (hour_us);
