-- Deleting a number deletes its conversations: contacts without any other conversation are no longer marked as texted.
create or replace function unmark_contact_texted() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    update contacts c set texted = false
     where c.workspace_id = old.workspace_id and c.id = old.contact_id and c.texted
       and not exists (select from conversations v where v.workspace_id = old.workspace_id and v.contact_id = old.contact_id);
    return null;
end $$;
alter function unmark_contact_texted owner to messagehub_system;

create or replace trigger conversations_after_delete_unmark_contact after delete on conversations for each row execute function unmark_contact_texted();
