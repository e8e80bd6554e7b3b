-- Deletes a contact with its conversations and cancels what is queued. Returns the accounts to which credits were returned. The
-- caller has checked that the contact exists and may be deleted.
create or replace function delete_contact(contact uuid) returns table (account uuid, balance bigint)
    language plpgsql volatile security definer set search_path = public, pg_temp
as $$
#variable_conflict use_column
declare
    workspace constant uuid := my_workspace();
    waiting uuid[];
begin
    if workspace is null or lock_contacts(workspace, array[contact]) <> 1 then
        return;
    end if;
    with canceled_messages as (
        update messages m set status = 'canceled', due_at = null, updated_at = now()
          from conversations v
         where v.workspace_id = workspace and v.contact_id = contact
           and m.workspace_id = v.workspace_id and m.conversation_id = v.id
           and m.direction = 'outbound' and m.status in ('scheduled', 'queued')
        returning m.id
    )
    select array_agg(id) into waiting from canceled_messages;
    insert into deleted_messages (workspace_id, integration_id, provider_sid)
    select m.workspace_id, m.integration_id, m.provider_sid
      from conversations v
      join messages m on m.workspace_id = v.workspace_id and m.conversation_id = v.id
     where v.workspace_id = workspace and v.contact_id = contact and m.direction = 'inbound'
       and m.created_at > now() - interval '30 days'
        on conflict do nothing;
    insert into remembered_opt_outs (workspace_id, address, number_id, source, proof, created_at)
    select o.workspace_id, c.phone_number, o.number_id, o.source, o.proof, o.created_at
      from contacts c
      join opt_outs o on o.workspace_id = c.workspace_id and o.contact_id = contact
     where c.workspace_id = workspace and (c.id = contact or c.merged_into = contact)
        on conflict do nothing;
    -- The same messages and days as in `usage::count`. Older days are never counted again.
    insert into deleted_usage (workspace_id, number_id, day, direction, currency, texts, segments, price)
    select m.workspace_id, m.number_id, (coalesce(m.scheduled_at, m.created_at) at time zone 'UTC')::date, m.direction,
           case when m.price is null then '' else coalesce(m.price_unit, 'USD') end,
           count(*), coalesce(sum(m.segments), 0), coalesce(sum(m.price), 0)
      from conversations v
      join messages m on m.workspace_id = v.workspace_id and m.conversation_id = v.id
     where v.workspace_id = workspace and v.contact_id = contact and m.direction <> 'note' and m.provider_sid is not null
       and coalesce(m.scheduled_at, m.created_at) > now() - interval '70 days'
     group by 1, 2, 3, 4, 5;
    -- Accounts are locked last.
    return query select r.account, r.balance from unnest(waiting) as w (id) cross join lateral return_credit(workspace, w.id) r;
    delete from contacts c where c.workspace_id = workspace and c.merged_into = contact;
    delete from contacts c where c.workspace_id = workspace and c.id = contact;
end $$;
alter function delete_contact owner to messagehub_system;
grant execute on function delete_contact to messagehub_people;
