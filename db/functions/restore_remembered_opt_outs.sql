-- A contact that is created for, or changes to, a phone number with remembered opt-outs takes them over.
create or replace function restore_remembered_opt_outs() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    with recalled as (
        delete from remembered_opt_outs r
         where r.workspace_id = new.workspace_id and r.address = new.phone_number
        returning r.number_id, r.source, r.proof, r.created_at
    ), held as (
        insert into opt_outs (workspace_id, contact_id, number_id, source, proof, created_at)
        select new.workspace_id, new.id, r.number_id, r.source, r.proof, r.created_at from recalled r
            on conflict do nothing
        returning number_id, source, proof, created_at
    )
    insert into consents (workspace_id, contact_id, number_id, consent_kind, source, proof, actor_id, created_at)
    select new.workspace_id, new.id, h.number_id, 'stop', h.source, h.proof, null, h.created_at from held h;
    return null;
end $$;
alter function restore_remembered_opt_outs owner to messagehub_system;

create or replace trigger contacts_after_insert_recall_opt_outs after insert on contacts for each row execute function restore_remembered_opt_outs();
create or replace trigger contacts_after_update_recall_opt_outs after update of phone_number on contacts
    for each row when (old.phone_number <> new.phone_number) execute function restore_remembered_opt_outs();
