-- All that a portal's database account may read: published numbers, dated, sourced, without anything internal.
create or replace view portal_cards as
select c.client_key, m.title, m.source_label as source, m.current_period_text as period,
       case when m.currency is null then m.unit else m.currency end as unit,
       m.baseline_value as baseline, m.current_value as current, m.published_status as status,
       m.next_action, m.client_note as note, m.published_at as updated_at
from report_metrics m
join core_clients c on c.id = m.client_id
where m.published_at is not null and c.status = 'active';
