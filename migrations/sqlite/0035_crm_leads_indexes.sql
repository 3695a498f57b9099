-- Nothing changes here: SQLite cannot alter the unique constraint of a table, and the foreign key keeps its own index.
select 1;
