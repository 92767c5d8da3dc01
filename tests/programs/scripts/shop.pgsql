-- Joins, windows, JSON, full text, arrays, procedures, errors caught; nothing random.
create table product (id int primary key, name text, price int, attributes jsonb);
create table sale (id int primary key, product int references product, k int, total bigint, note text);
insert into product select i, 'product ' || i, i * 7919 % 1000, jsonb_build_object('weight', i % 13, 'tags', array['t' || i % 7])
    from generate_series(1, 2000) i;
insert into sale select i, 1 + i * 7 % 2000, 1 + i % 4, i * 31 % 977, repeat('note ' || md5(i::text) || ' ', i % 9)
    from generate_series(1, 30000) i;
create index on sale (product, total);
create index on sale using gin (to_tsvector('english', note));
create index on product using gin (attributes);
analyze;
select attributes->'tags'->>0 as tag, count(*), sum(total), string_agg(distinct substr(name, 9, 2), '' order by substr(name, 9, 2))
    from sale join product on product.id = sale.product group by 1 order by 1;
select id, sum(total) over (partition by k order by id), rank() over (order by total desc, id) from sale where id % 300 = 0 order by id;
select count(*) from sale where to_tsvector('english', note) @@ to_tsquery('note & !abc');
select count(*) from product where attributes @> '{"weight": 5}';
with recursive t (n, s) as (select 1, '1' union all select n + 1, s || ',' || n + 1 from t where n < 500) select length(max(s)) from t;
create function work(int) returns bigint language plpgsql as $$
declare s bigint := 0; r record; begin
    for r in select * from sale order by id limit $1 loop
        begin
            s := s + r.total / (r.id % 50);
        exception when division_by_zero then s := s + 1;
        end;
    end loop;
    return s;
end $$;
select work(5000);
select regexp_replace(note, '([0-9])([a-f])', '\2\1', 'g') from sale where id = 26;
select array_length(array_agg(x order by x desc), 1), (array_agg(x order by x desc))[3] from unnest(array[5, 3, 9, 1]) x;
delete from sale where id % 3 = 0;
update sale set note = note || 'changed' where id % 5 = 0;
vacuum full sale;
select count(*), sum(length(note)) from sale;
