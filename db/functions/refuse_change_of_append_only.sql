-- Refuses changes of append-only tables. Rows are deleted only together with their workspace.
create or replace function refuse_change_of_append_only() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    if tg_op = 'DELETE' then
        if not exists (select from workspaces where id = old.workspace_id) then
            return old;
        end if;
    end if;
    raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end $$;
alter function refuse_change_of_append_only owner to messagehub_system;

create or replace trigger credit_ledger_before_change_refuse before update or delete on credit_ledger for each row execute function refuse_change_of_append_only();
create or replace trigger credit_ledger_before_truncate_refuse before truncate on credit_ledger execute function refuse_change_of_append_only();
create or replace trigger audit_log_before_change_refuse before update or delete on audit_log for each row execute function refuse_change_of_append_only();
create or replace trigger audit_log_before_truncate_refuse before truncate on audit_log execute function refuse_change_of_append_only();
