-- A number as the program reads it: all columns, with its provider and the usual rate of its kind.
create or replace function number_json(n numbers, provider text) returns jsonb
    language sql stable
as $$
    select to_jsonb(n) || jsonb_build_object(
        'provider', provider, 'capabilities', jsonb_build_object('sms', n.sms, 'mms', n.mms, 'voice', n.voice),
        'usual_messages_per_second', default_send_rate(provider, n.phone_number))
$$;
grant execute on function number_json to messagehub_people, messagehub_system;
