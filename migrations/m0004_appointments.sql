CREATE TABLE services (
  id {id} NOT NULL PRIMARY KEY,
  tenant_id {id} NOT NULL REFERENCES tenants (id),
  name text NOT NULL,
  name_key text NOT NULL,
  minutes integer NOT NULL,
  active boolean NOT NULL,
  created_us bigint NOT NULL,
  UNIQUE (tenant_id, name_key)
);

CREATE TABLE staff (
  id {id} NOT NULL PRIMARY KEY,
  tenant_id {id} NOT NULL REFERENCES tenants (id),
  name text NOT NULL,
  name_key text NOT NULL,
  zone text,
  hours text,
  active boolean NOT NULL,
  feed_us bigint,
  created_us bigint NOT NULL,
  UNIQUE (tenant_id, name_key)
);

CREATE TABLE staff_services (
  tenant_id {id} NOT NULL,
  staff_id {id} NOT NULL,
  service_id {id} NOT NULL,
  PRIMARY KEY (tenant_id, staff_id, service_id)
) {clustered};

CREATE TABLE appointments (
  id {id} NOT NULL PRIMARY KEY,
  tenant_id {id} NOT NULL REFERENCES tenants (id),
  contact_id {id},
  service_id {id} NOT NULL,
  staff_id {id},
  starts_local text NOT NULL,
  zone text NOT NULL,
  starts_us bigint NOT NULL,
  ends_us bigint NOT NULL,
  state text NOT NULL,
  note text NOT NULL,
  version integer NOT NULL,
  uid text NOT NULL,
  created_us bigint NOT NULL,
  updated_us bigint NOT NULL,
  UNIQUE (tenant_id, uid)
);
CREATE INDEX appointments_by_start ON appointments (tenant_id, starts_us);
CREATE INDEX appointments_of_contact ON appointments (tenant_id, contact_id, starts_us) WHERE contact_id IS NOT NULL;
CREATE INDEX appointments_of_staff ON appointments (tenant_id, staff_id, starts_us) WHERE staff_id IS NOT NULL;

CREATE TABLE appointment_history (
  id {id} NOT NULL PRIMARY KEY,
  tenant_id {id} NOT NULL,
  appointment_id {id} NOT NULL,
  contact_id {id},
  at_us bigint NOT NULL,
  version integer NOT NULL,
  what text NOT NULL,
  made_by text NOT NULL,
  facts text NOT NULL
) {clustered};
CREATE INDEX appointment_history_of ON appointment_history (tenant_id, appointment_id, at_us);
CREATE INDEX appointment_history_of_contact ON appointment_history (tenant_id, contact_id, at_us);

CREATE TABLE occupied (
  tenant_id {id} NOT NULL,
  staff_id {id} NOT NULL,
  granule bigint NOT NULL,
  appointment_id {id} NOT NULL,
  PRIMARY KEY (tenant_id, staff_id, granule)
) {clustered};
CREATE INDEX occupied_by ON occupied (tenant_id, appointment_id);
