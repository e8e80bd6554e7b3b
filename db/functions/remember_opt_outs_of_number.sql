-- When a contact's phone number changes, its opt-outs also stay with the old phone number: they hold for the person and for the
-- number.
create or replace function remember_opt_outs_of_number() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    insert into remembered_opt_outs (workspace_id, address, number_id, source, proof, created_at)
    select o.workspace_id, old.phone_number, o.number_id, o.source, o.proof, o.created_at
      from opt_outs o
     where o.workspace_id = old.workspace_id and o.contact_id = coalesce(old.merged_into, old.id)
        on conflict do nothing;
    return coalesce(new, old);
end $$;
alter function remember_opt_outs_of_number owner to messagehub_system;

create or replace trigger contacts_before_update_remember_opt_outs before update of phone_number on contacts
    for each row when (old.phone_number <> new.phone_number) execute function remember_opt_outs_of_number();
