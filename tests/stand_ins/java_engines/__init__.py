"""Flink and Spark on this machine, of jars from Maven Central."""
