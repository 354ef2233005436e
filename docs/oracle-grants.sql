-- The user of lpmkit's probes. It reads states; it writes nothing but its own row, and that only when you make the table below
-- and name it in the site file (databases.SID.commit_table). Run it as SYS: grants on V$ synonyms fail (ORA-02030), hence V_$.
-- Leave out what your release does not have. Nothing here needs the Diagnostics Pack.

-- With a password, over the net. In a container database a common user of CDB$ROOT: create user c##lpmkit … container = all, and
-- `alter user c##lpmkit set container_data = all container = current`. A local user of a PDB sees that container alone: the alert log
-- by SQL (V$DIAG_ALERT_EXT) then has no errors of the instance, and lpmkit leaves the question open.
create user lpmkit identified by "choose one" account unlock;
-- Or known by its login on the host, for sqlplus (os_authent_prefix is OPS$ unless you changed it).
-- create user ops$lpmkit identified externally;

grant create session to lpmkit;
grant select on sys.v_$instance to lpmkit;
grant select on sys.v_$database to lpmkit;
grant select on sys.v_$session to lpmkit;
grant select on sys.v_$system_event to lpmkit;
grant select on sys.v_$log to lpmkit;
grant select on sys.v_$parameter to lpmkit;
grant select on sys.v_$archive_dest to lpmkit;
grant select on sys.v_$archive_dest_status to lpmkit;
grant select on sys.gv_$instance to lpmkit;
grant select on sys.gv_$active_services to lpmkit;  -- 10g on; services that end, several instances behind one
grant select on sys.v_$event_histogram to lpmkit;   -- 10g on
grant select on sys.v_$osstat to lpmkit;            -- 10g on
grant select on sys.v_$dataguard_stats to lpmkit;   -- 10.2 on
grant select on sys.v_$asm_diskgroup to lpmkit;     -- 10g on
grant select on sys.v_$pdbs to lpmkit;              -- 12.1 on
grant select on sys.v_$diag_info to lpmkit;         -- 11g on
grant select on sys.v_$fast_start_failover_config to lpmkit;  -- 23ai on
grant select on sys.v_$diag_alert_ext to lpmkit;    -- 12.1 on, for alert_log: V$DIAG_ALERT_EXT

-- Only for the commit beat, with the customer's consent:
-- alter user lpmkit quota 1m on users;
-- create table lpmkit.lpmkit_beat (at timestamp with time zone);
-- insert into lpmkit.lpmkit_beat values (null);
-- commit;
