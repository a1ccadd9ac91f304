"""The classroom: four simulators small enough to explain every number, what the published text claims, one question through all."""
