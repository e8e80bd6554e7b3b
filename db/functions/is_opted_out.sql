-- Whether this contact may not be texted from this number. An opt-out for another number counts if the workspace says so; the
-- caller need not see that number.
create or replace function is_opted_out(workspace uuid, contact uuid, number uuid) returns boolean
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    return exists (select from opt_outs o
                    where o.workspace_id = workspace and o.contact_id = contact
                      and workspace = coalesce(current_workspace(), workspace)
                      and (o.number_id = number
                           or (select w.opt_out_scope from workspaces w where w.id = workspace) = 'workspace'));
end $$;
alter function is_opted_out owner to messagehub_system;
grant execute on function is_opted_out to messagehub_people;
