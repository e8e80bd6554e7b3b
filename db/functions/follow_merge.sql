-- Rows about a contact that is being merged are written for the surviving contact: the lock waits for the merge.
create or replace function follow_merge() returns trigger
    language plpgsql security definer set search_path = public, pg_temp
as $$ begin
    select coalesce(c.merged_into, c.id) into new.contact_id from contacts c
     where c.workspace_id = new.workspace_id and c.id = new.contact_id
       for share;
    if not found then
        return null; -- deleted at the same moment
    end if;
    return new;
end $$;
alter function follow_merge owner to messagehub_system;

create or replace trigger opt_outs_before_insert_follow_merge before insert on opt_outs for each row execute function follow_merge();
create or replace trigger consents_before_insert_follow_merge before insert on consents for each row execute function follow_merge();
create or replace trigger contact_tags_before_insert_follow_merge before insert on contact_tags for each row execute function follow_merge();
