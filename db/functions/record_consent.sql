-- Records an opt-out (`stop`) or opt-in (`start`, `yes`) of a message's contact, and clears the pending near-stop of the
-- conversation. An opt-in reaches as far as an opt-out (`opt_out_scope`). `yes` lifts only opt-outs by text or by the provider,
-- because people also answer other questions with it. Returns whether anything changed.
create or replace function record_consent(workspace uuid, message uuid, consent_keyword text, origin text default 'text', evidence text default null)
    returns boolean
    language plpgsql
as $$
declare
    m messages;
    proof text;
    numbers uuid[];
begin
    select * into m from messages t where t.workspace_id = workspace and t.id = message;
    proof := left(coalesce(evidence, m.content), 200);
    if consent_keyword = 'stop' then
        with added as (
            insert into opt_outs (workspace_id, contact_id, number_id, source, proof)
            values (workspace, m.contact_id, m.number_id, origin, proof)
                on conflict do nothing
            returning number_id
        )
        select array_agg(number_id) into numbers from added;
    else
        with lifted as (
            delete from opt_outs o
             where o.workspace_id = workspace and o.contact_id = m.contact_id
               and (o.number_id = m.number_id
                    or (select w.opt_out_scope from workspaces w where w.id = workspace) = 'workspace')
               and (consent_keyword = 'start' or o.source in ('text', 'provider'))
            returning number_id
        )
        select array_agg(number_id) into numbers from lifted;
        if consent_keyword = 'yes' and numbers is null then
            return false; -- it answered something else
        end if;
    end if;
    update conversations v set near_stop_id = null
     where v.workspace_id = workspace and v.id = m.conversation_id and v.near_stop_id is not null;
    insert into consents (workspace_id, contact_id, number_id, consent_kind, source, proof, message_id)
    select workspace, m.contact_id, n, case consent_keyword when 'stop' then 'stop' else 'start' end, origin, proof, message from unnest(numbers) as n;
    return found;
end $$;
grant execute on function record_consent to messagehub_system;
