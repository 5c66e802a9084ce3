"""The engines that compute rows. Importing this is quick."""

# The native engine for models that it is proved for, and TensorFlow for others.
AUTO = "auto"
NATIVE = "native"
TENSORFLOW = "tensorflow"
ENGINES = (AUTO, NATIVE, TENSORFLOW)
