-- What a list row shows of a text, wherever a statement of the database makes it the newest: as `messages::preview` in Rust,
-- which a test holds against it. White space is what Unicode calls so, whatever the locale.
create function preview_text(content text, first_type text) returns text
    language sql immutable parallel safe
return case
    when trim(both ' ' from regexp_replace(content, '[\u0009-\u000D\u0020\u0085\u00A0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000]+', ' ', 'g')) <> ''
    then left(trim(both ' ' from regexp_replace(content, '[\u0009-\u000D\u0020\u0085\u00A0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000]+', ' ', 'g')), 160)
    when first_type is null then ''
    when first_type like 'image/%' then '📷 Photo'
    when first_type like 'video/%' then '🎬 Video'
    when first_type like 'audio/%' then '🎤 Audio'
    else '📎 File'
end;

create function preview_of(workspace uuid, message uuid, content text) returns text
    language sql stable
return preview_text(content, (select f.content_type from message_media f
                               where f.workspace_id = workspace and f.message_id = message
                               order by f.position limit 1));
grant execute on function preview_text(text, text), preview_of(uuid, uuid, text) to messagehub_people, messagehub_system;

-- Texts that went with their contact were sent and billed all the same: the days that are counted anew count them, too.
create table deleted_usage (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    id           uuid not null default new_id(),
    number_id    uuid not null,
    day          date not null,                      -- as in `number_usage`
    direction    text not null check (direction in ('inbound', 'outbound')),
    currency     text not null,
    texts        integer not null check (texts > 0),
    segments     integer not null,
    price        numeric not null,
    primary key (workspace_id, id),
    foreign key (workspace_id, number_id) references numbers on delete cascade
);
create index deleted_usage_of_day on deleted_usage (day);
select confine_to_workspace('deleted_usage', readers => 'false', writers => 'false');
grant select, insert, delete on deleted_usage to messagehub_system;
