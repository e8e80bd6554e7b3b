-- In which language somebody is spoken to, as BCP 47 names it; null: as their browser asks.

alter table users add column language text check (language ~ '^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$');
