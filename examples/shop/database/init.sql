-- One database and one role for each service that keeps something.
CREATE ROLE orders LOGIN PASSWORD 'orders';
CREATE DATABASE orders OWNER orders;
CREATE ROLE stock LOGIN PASSWORD 'stock';
CREATE DATABASE stock OWNER stock;
CREATE ROLE payments LOGIN PASSWORD 'payments';
CREATE DATABASE payments OWNER payments;
