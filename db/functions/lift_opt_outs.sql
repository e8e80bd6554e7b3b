-- An agent records that a contact may be texted again, for one number or all of them, as `opt_out_scope` says. Returns how many
-- opt-outs were lifted. Runs as the system role, because of numbers that the agent does not see.
create or replace function lift_opt_outs(contact uuid, number uuid, evidence text, agent text) returns bigint
    language sql volatile security definer set search_path = public, pg_temp
as $$
    with lifted as (
        delete from opt_outs o
         where o.workspace_id = my_workspace() and o.contact_id = contact and number = any (my_numbers())
           and (o.number_id = number
                or (select w.opt_out_scope from workspaces w where w.id = my_workspace()) = 'workspace')
        returning o.number_id
    ), written as (
        insert into consents (workspace_id, contact_id, number_id, consent_kind, source, proof, actor_id, actor_name)
        select my_workspace(), contact, l.number_id, 'start', 'member', evidence, current_user_id(), agent from lifted l
        returning 1
    )
    select count(*) from written
$$;
alter function lift_opt_outs owner to messagehub_system;
grant execute on function lift_opt_outs to messagehub_people;
