"""What is where, and what should be.

:mod:`manager` is the one face; a role needs it, :mod:`settings`, :mod:`turn`, and the values
that go in and out: :mod:`registry` (heartbeats), :mod:`report` and :mod:`incremental`
(reports), :mod:`targets`, :mod:`commands`, :mod:`notices`, :mod:`statistics`.

========================  ===================================================================
state                     :mod:`nodes`, :mod:`registry`, :mod:`tables`, :mod:`replica_map`,
                          :mod:`construction`, :mod:`corruption`, :mod:`intents`,
                          :mod:`pending`, :mod:`needed`, :mod:`parts` (all of it)
what a report means       :mod:`judgement`, :mod:`intake`, :mod:`full_report`
what a block lacks        :mod:`survey`, :mod:`redundancy`, :mod:`replication`,
                          :mod:`removals`, :mod:`background`
where replicas go         :mod:`placement`, :mod:`default_placement`, :mod:`storage_policy`,
                          :mod:`topology`
life of a block, reading  :mod:`lifecycle`, :mod:`recovery`, :mod:`locate`
the cluster               :mod:`attendance`, :mod:`safemode`, :mod:`hosts`, :mod:`totals`
========================  ===================================================================
"""
