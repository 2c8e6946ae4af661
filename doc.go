// Package streamql is the engine: streaming SQL that trains machine-learning models and predicts with them directly on topics.
package streamql
