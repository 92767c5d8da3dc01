-- 10^5 rows and more, joins, indices, updates, full text, JSON and recursion; nothing random.
pragma journal_mode = delete;
create table product (id integer primary key, name text, price int, attributes text);
create table client (id integer primary key, name text, town text);
create table sale (id integer primary key, product int, client int, amount int, total int, note text);
with recursive n (i) as (select 1 union all select i + 1 from n where i < 2000)
insert into product select i, 'product ' || i || substr('abcdefghijklmnopqrstuvwxyz', i % 20, 9), i * 7919 % 1000,
    json_object('weight', i % 13, 'tags', json_array('t' || (i % 7), 't' || (i % 3))) from n;
with recursive n (i) as (select 1 union all select i + 1 from n where i < 5000)
insert into client select i, 'client ' || (i * 31 % 4999), 'town ' || (i % 117) from n;
begin;
with recursive n (i) as (select 1 union all select i + 1 from n where i < 100000)
insert into sale select i, 1 + i * 7 % 2000, 1 + i * 13 % 5000, 1 + i % 9, 0,
    case when i % 5 = 0 then printf('note %d %s', i, hex(i * 123457)) end from n;
update sale set total = amount * (select price from product where product.id = sale.product);
commit;
create index sale_by_product on sale (product, total);
create index sale_by_client on sale (client);
select town, count(*), sum(total), group_concat(distinct substr(product.name, 9, 3))
    from sale join client on client.id = sale.client join product on product.id = sale.product
    where price > 900 group by town order by 3 desc, 1 limit 30;
select c.name, sum(s.total) over (partition by c.town order by s.id), rank() over (order by s.total desc, s.id)
    from sale s join client c on c.id = s.client where s.id % 50 = 0 order by s.id limit 500;
select value, count(*) from product, json_each(attributes, '$.tags') group by value order by value;
create virtual table words using fts5 (note);
insert into words select note from sale where note is not null;
select count(*) from words where words match 'note AND 31*';
delete from sale where id % 3 = 0;
create table big (id int, body blob);
insert into big select id, zeroblob(id % 40 * 1000) from sale where id < 900;
drop table words;
vacuum;
pragma integrity_check;
select count(*), sum(total), max(length(note)) from sale;
