-- Indexes contacts of `contacts_to_index`, at most so many entries, and returns how many it took. Several servers may do it at once.
-- A contact is read after its entry was taken, so what was committed with the entry is seen.
create or replace function index_queued_contacts(most integer) returns integer
    language plpgsql
as $$
declare
    workspaces uuid[];
    contacts uuid[];
begin
    with taken as (
        delete from contacts_to_index q
         where q.place in (select w.place from contacts_to_index w order by w.place limit most for update skip locked)
        returning q.workspace_id, q.contact_id
    )
    select array_agg(t.workspace_id), array_agg(t.contact_id) into workspaces, contacts from taken t;
    perform index_contact(c.workspace, c.contact)
       from (select distinct workspace, contact from unnest(workspaces, contacts) as t (workspace, contact)) c;
    return coalesce(cardinality(contacts), 0);
end $$;
grant execute on function index_queued_contacts to messagehub_system;
