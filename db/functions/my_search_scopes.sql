-- The scopes in which the caller may search contacts: the workspace for an admin; the visible numbers and the user for an agent.
create or replace function my_search_scopes() returns text[]
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    if i_am_admin() then
        return array[search_scope(my_workspace())];
    end if;
    return array(select search_scope(number) from unnest(my_numbers()) as number) || search_scope(current_user_id());
end $$;
alter function my_search_scopes owner to messagehub_system;
