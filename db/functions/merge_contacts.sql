-- Moves everything of contact `gone` to `survivor`. Returns 'merged', 'missing' (one of the two does not exist any more) or
-- 'hidden' (there are conversations that the caller may not see).
create or replace function merge_contacts(survivor uuid, gone uuid) returns text
    language plpgsql volatile security definer set search_path = public, pg_temp
as $$
declare
    workspace constant uuid := my_workspace();
    address_gone text;
    g conversations;
    s conversations;
begin
    if workspace is null or survivor = gone or lock_contacts(workspace, array[survivor, gone]) <> 2 then
        return 'missing';
    end if;
    if not sees_all_conversations_of(array[survivor, gone]) then
        return 'hidden';
    end if;
    select c.phone_number into address_gone from contacts c where c.workspace_id = workspace and c.id = gone;
    for g in select * from conversations v where v.workspace_id = workspace and v.contact_id = gone order by v.id loop
        -- Messages under way keep their recipient.
        update messages m set address = coalesce(m.address, address_gone)
         where m.workspace_id = workspace and m.conversation_id = g.id
           and m.status in ('scheduled', 'queued', 'sending', 'unconfirmed');
        select * into s from conversations v
         where v.workspace_id = workspace and v.contact_id = survivor and v.number_id = g.number_id;
        if not found then
            -- Its messages follow by `on update cascade`.
            update conversations v set contact_id = survivor, updated_at = now() where v.workspace_id = workspace and v.id = g.id;
            continue;
        end if;
        update messages m set conversation_id = s.id, contact_id = survivor
         where m.workspace_id = workspace and m.conversation_id = g.id;
        update conversation_events e set conversation_id = s.id where e.workspace_id = workspace and e.conversation_id = g.id;
        update mentions m set conversation_id = s.id where m.workspace_id = workspace and m.conversation_id = g.id;
        -- Drafts move too; two drafts of the same user are joined.
        update drafts d
           set content = left(concat_ws(E'\n', nullif(d.content, ''), nullif(o.content, '')), 5000),
               media_ids = (d.media_ids || o.media_ids)[1:10], updated_at = clock_timestamp()
          from drafts o
         where d.workspace_id = workspace and d.conversation_id = s.id
           and o.workspace_id = workspace and o.conversation_id = g.id and o.user_id = d.user_id;
        update drafts o set conversation_id = s.id
         where o.workspace_id = workspace and o.conversation_id = g.id
           and not exists (select from drafts d where d.workspace_id = workspace and d.conversation_id = s.id and d.user_id = o.user_id);
        update conversations v
           set unread_count = s.unread_count + g.unread_count,
               -- The status that asks for more attention.
               status = case when 'open' in (s.status, g.status) then 'open' when 'pending' in (s.status, g.status) then 'pending'
                             when 'snoozed' in (s.status, g.status) then 'snoozed' else 'done' end,
               snoozed_until = case when 'open' in (s.status, g.status) or 'pending' in (s.status, g.status) then null
                                    else least(s.snoozed_until, g.snoozed_until) end,
               assignee_id = coalesce(s.assignee_id, g.assignee_id),
               near_stop_id = greatest(s.near_stop_id, g.near_stop_id),
               last_message_at = case when g.last_message_at > s.last_message_at then g.last_message_at else s.last_message_at end,
               last_message_preview = case when g.last_message_at > s.last_message_at then g.last_message_preview else s.last_message_preview end,
               last_message_direction = case when g.last_message_at > s.last_message_at then g.last_message_direction else s.last_message_direction end,
               last_message_status = case when g.last_message_at > s.last_message_at then g.last_message_status else s.last_message_status end,
               last_message_id = case when g.last_message_at > s.last_message_at then g.last_message_id else s.last_message_id end,
               created_at = least(s.created_at, g.created_at), updated_at = now()
         where v.workspace_id = workspace and v.id = s.id;
        update merged_conversations j set into_id = s.id where j.workspace_id = workspace and j.into_id = g.id;
        insert into merged_conversations (workspace_id, id, into_id) values (workspace, g.id, s.id);
        delete from conversations v where v.workspace_id = workspace and v.id = g.id;
    end loop;

    update consents c set contact_id = survivor where c.workspace_id = workspace and c.contact_id = gone;
    -- An opt-out of either contact holds.
    insert into opt_outs (workspace_id, contact_id, number_id, source, proof, created_at)
    select o.workspace_id, survivor, o.number_id, o.source, o.proof, o.created_at
      from opt_outs o where o.workspace_id = workspace and o.contact_id = gone
        on conflict do nothing;
    delete from opt_outs o where o.workspace_id = workspace and o.contact_id = gone;
    insert into contact_tags (workspace_id, contact_id, tag_id)
    select o.workspace_id, survivor, o.tag_id from contact_tags o where o.workspace_id = workspace and o.contact_id = gone
        on conflict do nothing;
    delete from contact_tags o where o.workspace_id = workspace and o.contact_id = gone;

    -- The merged contact stays as a phone number of the survivor, as do those merged into it before.
    update contacts c
       set merged_into = survivor, name = null, email = null, notes = '', custom_fields = '{}', updated_at = now()
     where c.workspace_id = workspace and c.id = gone;
    update contacts c set merged_into = survivor where c.workspace_id = workspace and c.merged_into = gone;
    update contacts c
       set texted = exists (select from conversations v where v.workspace_id = workspace and v.contact_id = survivor),
           updated_at = now(), updated_by = current_user_id()
     where c.workspace_id = workspace and c.id = survivor;
    return 'merged';
end $$;
alter function merge_contacts owner to messagehub_system;
grant execute on function merge_contacts to messagehub_people;
