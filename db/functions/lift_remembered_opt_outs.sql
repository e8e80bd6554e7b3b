-- An admin lifts an opt-out of a phone number without a contact, as far as `opt_out_scope` says. Returns how many were lifted.
create or replace function lift_remembered_opt_outs(phone text, number uuid) returns bigint
    language plpgsql volatile security definer set search_path = public, pg_temp
as $$
declare
    lifted bigint;
begin
    delete from remembered_opt_outs r
     where r.workspace_id = my_workspace() and i_am_admin() and r.address = phone
       and (r.number_id = number
            or (select w.opt_out_scope from workspaces w where w.id = my_workspace()) = 'workspace');
    get diagnostics lifted = row_count;
    return lifted;
end $$;
alter function lift_remembered_opt_outs owner to messagehub_system;
grant execute on function lift_remembered_opt_outs to messagehub_people;
