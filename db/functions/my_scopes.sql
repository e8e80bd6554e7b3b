-- The scopes in which the caller may search contacts: the workspace for an admin; the visible numbers and the user for an agent.
create or replace function my_scopes() returns text[]
    language plpgsql stable security definer set search_path = public, pg_temp
as $$ begin
    if i_am_admin() then
        return array[scope_of(my_workspace())];
    end if;
    return array(select scope_of(number) from unnest(my_numbers()) as number) || scope_of(current_user_id());
end $$;
alter function my_scopes owner to messagehub_system;
