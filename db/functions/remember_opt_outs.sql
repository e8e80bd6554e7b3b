-- The opt-outs of a contact also stay with its phone number, which it is about to leave: they hold for the person and for the
-- number. Runs as the system role: they may be from numbers that the member does not see, and members may not write here.
create or replace function remember_opt_outs(contact uuid) returns void
    language sql volatile security definer set search_path = public, pg_temp
as $$
    insert into remembered_opt_outs (workspace_id, address, number_id, source, proof, created_at)
    select o.workspace_id, c.phone_number, o.number_id, o.source, o.proof, o.created_at
      from contacts c
      join opt_outs o on o.workspace_id = c.workspace_id and o.contact_id = c.id
     where c.workspace_id = my_workspace() and c.id = contact
        on conflict do nothing
$$;
alter function remember_opt_outs owner to messagehub_system;
grant execute on function remember_opt_outs to messagehub_people;
