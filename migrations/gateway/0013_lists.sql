-- A charge's refunds are found at once, however many others there are.
CREATE INDEX refunds_of_charge ON refunds (merchant_id, charge_id, created_at DESC, id DESC);
-- Old events are looked for by blocks, which lie in the order of time. A tree by time alone would tempt the planner to walk all
-- merchants' events for one merchant's list.
DROP INDEX events_by_age;
CREATE INDEX events_by_age ON events USING brin (created_at);
