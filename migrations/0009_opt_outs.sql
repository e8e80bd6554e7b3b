-- Who must not be texted from which number, and the evidence of every opt-out and opt-in.

create table opt_outs (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    contact_id   uuid not null,
    number_id    uuid not null,
    source       text not null check (source in ('text', 'provider', 'member', 'import')),
    proof        text not null default '',           -- the contact's words, or the provider's code
    created_at   timestamptz not null default now(),
    primary key (workspace_id, contact_id, number_id),
    foreign key (workspace_id, contact_id) references contacts on delete cascade,
    foreign key (workspace_id, number_id) references numbers on delete cascade
);
create index opt_outs_newest on opt_outs (workspace_id, created_at desc); -- the list

create table consents (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    id           uuid not null default new_id(),
    contact_id   uuid not null,
    number_id    uuid not null,
    consent_kind text not null check (consent_kind in ('stop', 'start')),
    source       text not null check (source in ('text', 'provider', 'member', 'import')),
    proof        text not null default '',           -- the contact's words, the provider's code, the agent's reason
    message_id   uuid,                               -- the message with the keyword, or to which the provider answered
    actor_id     uuid default current_user_id(),     -- the agent; null: the contact or the provider
    actor_name   text not null default '',
    created_at   timestamptz not null default clock_timestamp(),
    primary key (workspace_id, id),
    foreign key (workspace_id, contact_id) references contacts on delete cascade,
    foreign key (workspace_id, number_id) references numbers on delete cascade
);
create index consents_of_contact on consents (workspace_id, contact_id, created_at desc, id desc);

-- Opt-outs of phone numbers without a contact: an opt-out outlives the deletion of its contact, until the number texts START.
create table remembered_opt_outs (
    workspace_id uuid not null default current_workspace() references workspaces on delete cascade,
    address      text not null,
    number_id    uuid not null,
    source       text not null,
    proof        text not null,
    created_at   timestamptz not null,
    primary key (workspace_id, address, number_id),
    foreign key (workspace_id, number_id) references numbers on delete cascade
);
create index remembered_newest on remembered_opt_outs (workspace_id, created_at desc); -- the list

select confine_to_workspace('opt_outs',
    readers => 'number_id = any ((select my_numbers())::uuid[])', writers => 'number_id = any ((select my_numbers())::uuid[])');
select confine_to_workspace('consents',
    readers => 'number_id = any ((select my_numbers())::uuid[])', writers => 'number_id = any ((select my_numbers())::uuid[])');
select confine_to_workspace('remembered_opt_outs', readers => '(select i_am_admin())', writers => '(select i_am_admin())');

grant select, insert, update, delete on opt_outs to messagehub_people;
grant select, insert on consents to messagehub_people;
grant select, delete on remembered_opt_outs to messagehub_people;
grant select, insert, update, delete on opt_outs, consents to messagehub_system;
grant select, insert, delete on remembered_opt_outs to messagehub_system;
