"""``amqp://``: messages go through RabbitMQ, so that sagas and workers can be on many machines.

What is where
  address    the broker's URL, with its password kept out of sight
  queues     the names and the arguments of the queues, which never change
  inbox      what was delivered and is not acknowledged yet
  outbox     what is to be sent, and what is sent and not confirmed yet
  headers    connections that survive what strangers write into the headers of a message
  consumer   one endpoint's channel
  announcer  public events, for whoever binds a queue to their exchange
  link       the one connection of a process, and the thread that owns it
  requests   where other services ask, on a connection of its own
  transport  the port between sagas and workers, made of all these

What clients have to say never goes this way. They write rows, as with ``database://``, and wake the saga hosts
through the database: a web request needs no connection to the broker, and cannot wait for it.
"""
