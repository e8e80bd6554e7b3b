-- A page of the contacts that an agent may see, by creation: those of the conversations of each number, and the agent's own that
-- nobody has texted. Walking along all contacts would first pass over those of everybody else.
create or replace function visible_contacts(beyond uuid, oldest_first boolean, many integer) returns setof uuid
    language plpgsql stable security definer set search_path = public, pg_temp
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set jit = off
as $$
declare
    workspace constant uuid := my_workspace();
    maker constant uuid := current_user_id();
begin
    if oldest_first then
        return query
            select s.id
              from (select v.contact_id as id from unnest(my_numbers()) as n (number)
                     cross join lateral (select c.contact_id from conversations c
                                          where c.workspace_id = workspace and c.number_id = n.number
                                            and c.contact_id > coalesce(beyond, '00000000-0000-0000-0000-000000000000')
                                          order by c.contact_id limit many) v
                    union
                   (select c.id from contacts c
                     where c.workspace_id = workspace and c.created_by = maker and not c.texted and c.merged_into is null
                       and c.id > coalesce(beyond, '00000000-0000-0000-0000-000000000000')
                     order by c.id limit many)) s
             order by s.id limit many;
        return;
    end if;
    return query
        select s.id
          from (select v.contact_id as id from unnest(my_numbers()) as n (number)
                 cross join lateral (select c.contact_id from conversations c
                                      where c.workspace_id = workspace and c.number_id = n.number
                                        and c.contact_id < coalesce(beyond, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                                      order by c.contact_id desc limit many) v
                union
               (select c.id from contacts c
                 where c.workspace_id = workspace and c.created_by = maker and not c.texted and c.merged_into is null
                   and c.id < coalesce(beyond, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
                 order by c.id desc limit many)) s
         order by s.id desc limit many;
end $$;
alter function visible_contacts owner to messagehub_system;
grant execute on function visible_contacts to messagehub_people;
