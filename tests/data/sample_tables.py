"""What the sample table of a data set says, by path."""


def table(dataset, *columns):
    return dataset.samples.set_index("path")[list(columns)].sort_index().to_dict("index")


def labels(dataset):
    return dataset.samples.set_index("path")["label"].sort_index().to_dict()


def kinds(dataset):
    return dataset.samples.set_index("path")["kind"].sort_index().to_dict()
