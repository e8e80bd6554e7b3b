-- needed by migrations
-- Forced row-level security for a table with a workspace_id. Members read and write rows of the workspace of their transaction;
-- `readers` and `writers` are further conditions. Sub-selects in the conditions are evaluated once per statement, not per row.
-- The system role sees all rows; its grants limit it.
create or replace function confine_to_workspace(tenant_table regclass, readers text default 'true', writers text default 'true')
    returns void
    language plpgsql
as $$
declare
    ours constant text := 'workspace_id = (select my_workspace())';
begin
    execute format('alter table %s enable row level security', tenant_table);
    execute format('alter table %s force row level security', tenant_table);
    execute format('create policy people_see on %s for select to messagehub_people using (%s and (%s))',
                   tenant_table, ours, readers);
    execute format('create policy people_add on %s for insert to messagehub_people with check (%s and (%s))',
                   tenant_table, ours, writers);
    execute format('create policy people_change on %s for update to messagehub_people using (%s and (%s)) with check (%s and (%s))',
                   tenant_table, ours, writers, ours, writers);
    execute format('create policy people_remove on %s for delete to messagehub_people using (%s and (%s))',
                   tenant_table, ours, writers);
    execute format('create policy system on %s to messagehub_system using (true) with check (true)', tenant_table);
end $$;
